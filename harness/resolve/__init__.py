"""From a section of a spec to the intervention it describes, measuring what must be measured."""
