"""The gateway's HTTP side; the rules are in the modules beside this folder."""
