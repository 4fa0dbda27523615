smply: --machine is missing: smply machines get --help has an example.
