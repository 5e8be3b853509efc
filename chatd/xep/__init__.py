"""The features: one XEP, or one part of RFC 6121, is one module behind `chatd.xep.api`."""
