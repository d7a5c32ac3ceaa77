"""What is looked at before a release: known weaknesses, secrets, licences, and the list of all parts."""
