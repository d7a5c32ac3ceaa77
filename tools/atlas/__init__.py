"""An Apache Atlas to try: the Java and the war that it needs, its folder, and the namespace that it runs in."""
