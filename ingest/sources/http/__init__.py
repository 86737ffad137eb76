"""The way in by HTTP: `POST /v1/readings`, answered once what it brought is durable."""
