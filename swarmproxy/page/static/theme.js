// Before anything is drawn: the theme that was chosen here, or that of the system.
"use strict";
{
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* no storage: the system's */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  document.documentElement.classList.add("scripted");
}
