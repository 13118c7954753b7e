"""What others run the same models with; these modules live in an environment of their own."""
