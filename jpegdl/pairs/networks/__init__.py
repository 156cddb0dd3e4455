"""The networks that neither torchvision nor timm has, one family a file, and how networks of those two are found."""
