"""Records what each test proves."""
