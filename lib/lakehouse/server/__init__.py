"""The Postgres we bring, for everybody who has not named one.

embedded    makes, starts and stops the server below LAKEHOUSE_HOME
account     the account it runs under, and how that account reaches it
databases   the address of source or gold: the settings' own, or the embedded server's
"""
