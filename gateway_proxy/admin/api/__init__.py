"""`/api/v1`: the admin services as JSON over HTTP, and their OpenAPI document."""
