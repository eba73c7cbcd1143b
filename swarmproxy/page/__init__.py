"""The cluster page: what a person sees of the cluster in a browser. It only reads."""
