SELECT current_setting('server_encoding'), current_setting('synchronous_commit')
