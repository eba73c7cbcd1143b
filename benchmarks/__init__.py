"""What swarmproxy costs: measured in one run beside a direct engine and HAProxy."""
