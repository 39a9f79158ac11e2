package rows.helpline_test

import data.rows.helpline

_refused(record) := codes if {
	codes := helpline.refuse with input as {"record": record}
}

test_contacts_without_data_are_refused if {
	every kind in ["SILENT", "BLANK", "JOKE", "HANGUP", "WRONG_NUMBER"] {
		_refused({"call_type": kind}) == {"CONTACT_WITHOUT_DATA"}
	}
}

test_contacts_about_children_are_accepted if {
	every kind in ["CHILD", "ABOUT_CHILD"] {
		_refused({"call_type": kind}) == set()
	}
}
