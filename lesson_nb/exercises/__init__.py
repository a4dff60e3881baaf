"Hidden cases and hints of the exercises, one file a lesson."
