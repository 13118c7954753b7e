"""Training by distillation. The only part of the package that needs PyTorch; import it lazily."""
