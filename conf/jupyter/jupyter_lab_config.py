"""Jupyter in both forms of the stack; address, port and folder come from the command line, the token from its file."""

c = get_config()  # noqa: F821 - Jupyter gives it to this file

c.ServerApp.open_browser = False
c.ServerApp.allow_root = True  # as root only where the whole stack is
c.ServerApp.terminals_enabled = False
c.ContentsManager.allow_hidden = False
# Nothing is asked from the internet.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
