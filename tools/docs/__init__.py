"""The pages of this repository as a site: the same files, with a navigation and a search, and nothing from elsewhere."""
