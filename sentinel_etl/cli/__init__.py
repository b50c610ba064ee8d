"""The command `sentinel-etl`.

A command's module imports click and little else; what the command does it imports when it is called. So `--help`,
the shell's completion and a usage error wait for none of it, and no command waits for what only another one needs.
"""
