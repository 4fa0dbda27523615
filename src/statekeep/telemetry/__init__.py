"""What operators see from outside: the metrics in the words of Prometheus, the traces in those of OpenTelemetry."""
