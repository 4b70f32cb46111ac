"""Images that lie in a PACS: which servers there are, what they hold, how studies come from there to here."""
