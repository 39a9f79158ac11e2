package pipelines

import (
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

func TestGoodRecordIsStoredAsThePlanSays(t *testing.T) {
	o := testOptions(t)
	got := readFile(t, o, good())
	if got.err != nil || len(got.problem) > 0 || len(got.rows) != 1 {
		t.Fatalf("error %v, problems %v, %d rows", got.err, got.problem, len(got.rows))
	}
	r := got.rows[0]
	for field, want := range map[gateway.FieldName]string{
		"child_sex": "F", "residence": "61", "event_type": "REPORT", "perpetrator": "PARENT", "setting": "HOME", "basis": "LAW",
		"consent": "N", "icd": "T74", "law": "UK-110", "injury": "MINOR", "perp_sex": "M", "birth_date": "Y10T14",
		"absent_reason": "", "order_kind": "",
	} {
		if code := r.code(o.Contract, field); code != want {
			t.Errorf("%s is stored as %q, want %q", field, code, want)
		}
	}
	if r["violence"] != uint64(1<<1|1<<3) || r["referred_to"] != uint64(1<<3|1<<1) || r["days_absent"] != 3 {
		t.Errorf("violence %b, referred_to %b, days_absent %d", r["violence"], r["referred_to"], r["days_absent"])
	}
	if r["quarter"] != int(day(t, "2025-03-04").Quarter()) {
		t.Errorf("quarter %d", r["quarter"])
	}
	shift := r["day"].(int) - int(day(t, "2025-03-04"))
	if shift < 0 || shift > 364 || r["incident_date"].(int)-int(day(t, "2025-03-01")) != shift ||
		r["referral_date"].(int)-int(day(t, "2025-03-05")) != shift {
		t.Errorf("the days are not shifted by one number of days from 0 to 364")
	}
	for _, id := range []string{"pid", "record", "referral"} {
		if r[id] == [16]byte{} {
			t.Errorf("%s is empty", id)
		}
	}
}
