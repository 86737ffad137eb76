"""The document of the API, OpenAPI 3.1: made from what each view declares and the code's types."""
