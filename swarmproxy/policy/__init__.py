"""Who may do what: the file, its roles and rules, and decisions. Pure: what it decides on arrives as arguments."""
