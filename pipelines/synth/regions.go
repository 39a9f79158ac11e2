package synth

// A region of the country: how many children it has compared with the others,
// and how it differs.
type region struct {
	code    string  // KATO, two digits
	weight  int     // children, about, in thousands
	reach   float64 // share of children known to the police whom social protection reaches in 30 days
	urban   float64 // share in towns
	kazakh  float64 // share of families that spell names in Kazakh
	schools float64 // how readily schools report, 1 is usual
}

// The regions. Codes are KATO's (domain.md 2.8); all rates are invented.
var regions = [...]region{
	{"10", 190, 0.62, 0.61, 0.75, 1.0},
	{"11", 220, 0.71, 0.50, 0.40, 1.0},
	{"15", 340, 0.66, 0.72, 0.85, 1.1},
	{"19", 560, 0.55, 0.18, 0.70, 0.8},
	{"23", 260, 0.68, 0.55, 0.95, 1.0},
	{"27", 240, 0.64, 0.54, 0.80, 1.0},
	{"31", 450, 0.52, 0.43, 0.80, 0.9},
	{"33", 250, 0.57, 0.45, 0.75, 0.9},
	{"35", 340, 0.78, 0.81, 0.50, 1.1},
	{"39", 210, 0.80, 0.62, 0.30, 1.2},
	{"43", 320, 0.60, 0.47, 0.97, 1.0},
	{"47", 310, 0.49, 0.46, 0.95, 0.8},
	{"55", 200, 0.82, 0.71, 0.40, 1.2},
	{"59", 130, 0.77, 0.48, 0.30, 1.1},
	{"61", 880, 0.46, 0.25, 0.90, 0.7},
	{"62", 75, 0.58, 0.79, 0.80, 1.0},
	{"63", 200, 0.74, 0.68, 0.45, 1.1},
	{"71", 430, 0.85, 1.00, 0.70, 1.3},
	{"75", 560, 0.83, 1.00, 0.55, 1.3},
	{"79", 450, 0.63, 1.00, 0.75, 1.0},
}

// regionWeights draws a region by its place in regions.
var regionWeights = func() (sum int) {
	for _, r := range regions {
		sum += r.weight
	}
	return sum
}()

func (d *dice) region() int {
	n := d.IntN(regionWeights)
	for i, r := range regions {
		if n -= r.weight; n < 0 {
			return i
		}
	}
	return 0
}
