-- how far events became jobs of their listeners: until now that was done with their numbering
INSERT INTO event_cursor (listener, seq) SELECT '', coalesce(max(seq), 0) FROM event;
