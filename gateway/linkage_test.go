package gateway

import (
	"testing"

	"pgregory.net/rapid"
)

func TestShareBands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		part, whole int
		want        ShareBand
	}{
		{0, 0, ""},
		{0, 7, "0-10"},
		{1, 10, "10-20"},
		{99, 1000, "0-10"},
		{899, 1000, "80-90"},
		{900, 1000, "90-100"},
		{1000, 1000, "90-100"},
		{-1, 10, ""},
		{11, 10, ""},
	} {
		if got := ShareBandOf(c.part, c.whole); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.part, c.whole, got, c.want)
		}
	}
}

// A band holds the share that it is of, and never says more than a tenth of it.
func TestShareBandHoldsItsShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.IntRange(1, 1_000_000).Draw(t, "whole")
		part := rapid.IntRange(0, whole).Draw(t, "part")
		from := ShareBandOf(part, whole).from()
		if from < 0 || from%10 != 0 || part*100 < from*whole || part*100 >= (from+10)*whole && part != whole {
			t.Errorf("%d of %d is not in the band from %d", part, whole, from)
		}
	})
}

func TestReportedBands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		accepted, expected int
		want               ReportedBand
	}{
		{0, 0, ""},
		{0, 4, ReportedNone},
		{1, 4, ReportedLess},
		{2, 4, ReportedHalf},
		{89, 100, ReportedHalf},
		{90, 100, ReportedMost},
		{99, 100, ReportedMost},
		{100, 100, ReportedAll},
		{1, 1, ReportedAll},
	} {
		if got := ReportedBandOf(c.accepted, c.expected); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.accepted, c.expected, got, c.want)
		}
	}
}

// What rests on several sectors is as good as the worst of them, and as untold.
func TestLinkableIsTheLeast(t *testing.T) {
	t.Parallel()
	q := &Quality{Sectors: []SectorQuality{
		{Contract: "police", Linkage: Linkage{Identified: 95, Unlinkable: 5}.Bands()},
		{Contract: "helpline", Linkage: Linkage{Identified: 30, Fallback: 5, Unlinkable: 65}.Bands()},
		{Contract: "justice"},
	}}
	for _, c := range []struct {
		sectors []ContractID
		want    ShareBand
	}{
		{[]ContractID{"police"}, "90-100"},
		{[]ContractID{"police", "helpline"}, "30-40"},
		{[]ContractID{"helpline", "police"}, "30-40"},
		{[]ContractID{"police", "justice"}, ""},
		{[]ContractID{"police", "unheard"}, ""},
		{nil, ""},
	} {
		if got := q.Linkable(c.sectors...); got != c.want {
			t.Errorf("%v: %q, want %q", c.sectors, got, c.want)
		}
	}
	if got := (*Quality)(nil).Linkable("police"); got != "" {
		t.Errorf("of no quality: %q", got)
	}
}
