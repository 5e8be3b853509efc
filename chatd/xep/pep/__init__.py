"""Personal eventing: XEP-0163 on XEP-0060."""
