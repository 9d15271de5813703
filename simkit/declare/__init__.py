"""What users write: tags, spaces, the Run they hold."""
