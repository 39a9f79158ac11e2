# METADATA
# title: Is a contract acceptable
# description: |
#   Says what is wrong with a contract before any file is accepted under it. A
#   contract without violations may be used; each violation is a sentence for its
#   author.
package contract

_rules := data.parameters.contract

_of_class(class) := [f.name | some f in input.contract.fields; f.class == class]

# METADATA
# description: |
#   Reasons why the contract must not be used.
# entrypoint: true
violations contains sprintf("%s: no policy knows the class %q", [f.name, f.class]) if {
	some f in input.contract.fields
	not _rules.types[f.class]
}

# METADATA
# description: |
#   A class says what is done to a field, and that fits some types only.
violations contains sprintf("%s: a field of class %s cannot be of type %s", [f.name, f.class, f.type]) if {
	some f in input.contract.fields
	not f.type in _rules.types[f.class]
}

# METADATA
# description: |
#   A direct identifier must carry a class under which it is never stored in clear.
violations contains sprintf("%s: a direct identifier cannot be of class %s", [f.name, f.class]) if {
	some f in input.contract.fields
	f.role == "direct"
	not f.class in _rules.identifying
}

# METADATA
# description: |
#   One child a row: a second person's number would double what can be attacked,
#   and no indicator needs it.
violations contains "exactly one field is the child's identification number" if {
	count(_of_class("child_id")) != 1
}

# METADATA
# description: |
#   The agency's own record number is needed to correct a record.
violations contains "exactly one field is the agency's record number" if {
	count(_of_class("record_id")) != 1
}

# METADATA
# description: |
#   Quarters and delays are counted from the one date of the event.
violations contains "exactly one field is the event's date, of class event_date" if {
	events := [f.name | some f in input.contract.fields; f.event]
	[count(events), events == _of_class("event_date")] != [1, true]
}

# METADATA
# description: |
#   Free text is refused at the door, not read and dropped.
violations contains sprintf("%s: the column of a narrative must be refused", [f.name]) if {
	some f in input.contract.fields
	f.class == "narrative"
	not f.refused
}

# METADATA
# description: |
#   Text has no column to be stored in.
violations contains sprintf("%s: text is never stored", [f.name]) if {
	some f in input.contract.fields
	f.type == "text"
	f.stored
}

# METADATA
# description: |
#   A code list says how firm it is.
violations contains sprintf("%s: the code list %s has the unknown status %q", [f.name, f.list.id, f.list.status]) if {
	some f in input.contract.fields
	not f.list.status in _rules.list_statuses
}

# METADATA
# description: |
#   A row says on which legal basis it is sent and, where that is consent, whether
#   it was given.
violations contains sprintf("a contract needs the field %s", [name]) if {
	some name in ["legal_basis", "consent_reporting"]
	every f in input.contract.fields {
		f.name != name
	}
}
