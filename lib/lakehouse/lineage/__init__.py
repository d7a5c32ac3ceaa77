"""What a run read and wrote, told in OpenLineage's events, so that a catalogue of others can draw it.

ended      what the ledger knows of a run that has ended
names      what tables are called, by their store and their place in it
parent     the task of a scheduler that has started this process
events     the events of a run, as lines of JSON
receiver   where they go: files, or an address; beside the run, which waits for none
telling    the events of a lakehouse's run, and who tells of it
"""
