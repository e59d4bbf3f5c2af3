"""What a tokenizer spends on a text, and how that becomes less."""
