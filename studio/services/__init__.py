"""What a user can do, one module per tab; pages and the command line are thin over these. No gradio, no torch."""
