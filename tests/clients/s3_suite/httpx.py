"""Stands in for httpx, which only the excused tests of bucket CORS configurations use."""
