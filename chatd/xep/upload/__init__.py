"""HTTP File Upload, XEP-0363: who may send which file, and how long it stays."""
