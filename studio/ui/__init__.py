"""Pages: the only package that imports gradio. Tabs are thin over `studio.services`."""
