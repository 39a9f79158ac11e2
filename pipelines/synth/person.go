package synth

import (
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// A person is a child: what never changes, and how the country first hears of
// it.
type person struct {
	birth      gateway.Day
	male       bool
	region     int    // index into regions
	kato       string // place of residence, nine digits
	rural      bool
	kazakh     bool // which names the family has
	family     int
	father     int
	given      int
	citizen    string
	disability string
	door       int         // the sector that hears of the child first
	heard      gateway.Day // when it does
	violence   string      // what happened, as a code of ICVAC
}

// doors says how often each sector is the first to hear of a child.
var doors = table{{"police", 40}, {"health", 17}, {"education", 22}, {"social", 9}, {"justice", 0}, {"helpline", 12}}

// ages says how often a child of each age, 0 to 17, is first heard of at each
// door. Justice is never the first.
var ages = [sectors][18]int{
	police:    {2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 8, 10, 11, 12, 12, 11},
	health:    {9, 8, 7, 6, 5, 5, 4, 4, 4, 4, 4, 5, 6, 7, 8, 8, 8, 7},
	education: {0, 0, 0, 1, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 11, 9, 7, 4},
	social:    {9, 8, 7, 7, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 5, 4, 4},
	justice:   {1},
	helpline:  {0, 0, 0, 0, 0, 0, 1, 2, 3, 5, 7, 9, 11, 12, 13, 13, 13, 11},
}

// familySizes is how three children in a row are related: bit i says that child
// i+1 is a sibling of child i.
var familySizes = table{{"0", 45}, {"1", 30}, {"3", 25}}

// person makes child i. Siblings share their leader's family; more often than
// not it is one incident that brings all of them to notice.
func (c *Country) person(d *dice, i int) person {
	leader := c.leader(d, i)
	p := c.leaderOf(d, leader)
	if i == leader {
		return p
	}
	elder := p
	d.throw(c.options.Seed, streamPerson, i)
	c.individual(d, &p)
	if d.chance(0.6) {
		p.heard, p.door, p.violence = elder.heard, elder.door, elder.violence
	}
	// Brothers and sisters are one to four years apart, and the one that is no
	// child on that day has a story of its own.
	birth := elder.birth + gateway.Day((1-2*d.IntN(2))*d.between(330, 1500)*(i-leader)) //nolint:gosec // some thousand days
	if age := p.heard.Years(birth); age >= 0 && age < 17 && ages[p.door][age] > 0 {
		p.birth = birth
	} else {
		p.birth = c.birth(d, p.door, p.heard)
	}
	return p
}

// leader returns the first of the siblings that child i belongs to.
func (c *Country) leader(d *dice, i int) int {
	block := i / 3 * 3
	d.throw(c.options.Seed, streamFamily, block)
	related := d.pick(familySizes)
	switch {
	case related == "3":
		return block
	case related == "1" && i-block < 2:
		return block
	}
	return i
}

func (c *Country) leaderOf(d *dice, leader int) person {
	d.throw(c.options.Seed, streamPerson, leader)
	p := person{region: d.region(), family: d.IntN(1 << 20), father: d.IntN(1 << 20)}
	r := regions[p.region]
	p.rural = !d.chance(r.urban)
	p.kazakh = d.chance(r.kazakh)
	p.kato = kato(d, r.code, p.rural)
	c.individual(d, &p)
	p.birth = c.birth(d, p.door, p.heard)
	return p
}

// individual fills in what siblings do not share.
func (c *Country) individual(d *dice, p *person) {
	p.door = sectorOf(d.pick(doors))
	if p.door == education && d.chance(1-1/1.5*regions[p.region].schools) {
		p.door = police
	}
	p.heard = c.day(d, p.door)
	p.male = !d.chance([sectors]float64{0.50, 0.49, 0.44, 0.48, 0.5, 0.60}[p.door])
	p.given = d.IntN(1 << 20)
	p.citizen = d.pick(citizenships)
	p.disability = d.pick(disabilities)
	p.violence = d.pick(violenceOf(p.male))
}

// day draws a day of the window; there are somewhat more in later years, and
// few reports of schools in July and August.
func (c *Country) day(d *dice, door int) gateway.Day {
	span := int(c.last - c.first)
	day := c.first + gateway.Day(max(d.between(0, span), d.between(-3*span, span))) //nolint:gosec // within the window
	if _, month, _ := day.Date(); door == education && (month == 7 || month == 8) && day+60 <= c.last {
		day += 60
	}
	return day
}

// birth draws a birth date that makes the child 0 to 17 years old on a day.
func (c *Country) birth(d *dice, door int, day gateway.Day) gateway.Day {
	n := 0
	for _, weight := range ages[door] {
		n += weight
	}
	n = d.IntN(n)
	age := 0
	for n -= ages[door][0]; n >= 0; n -= ages[door][age] {
		age++
	}
	// 18 years have 6,574 days at least; 17 years and 364 days have 6,573 or 6,574
	// at most, counted with four leap days.
	return day - gateway.Day(age*365+age/4+d.IntN(364)) //nolint:gosec // at most 18 years
}

func sectorOf(code string) int {
	for i, name := range sectorNames {
		if string(name) == code {
			return i
		}
	}
	return police
}

// kato draws a place of a region: nine digits, of which only the first two are
// real.
func kato(d *dice, region string, rural bool) string {
	if !rural {
		return region + "1010000"
	}
	return region + strconv.Itoa(d.between(30, 69)) + "0" + strconv.Itoa(d.between(30, 69)) + "00"
}

// maxSerials is how many children of one birth date and sex there can be.
const maxSerials = 500

// iin returns the identification number of child i: birth date, century and sex,
// serial 9000 to 9999, check digit (domain.md 2.9).
func (c *Country) iin(i int, p *person) string {
	year, month, day := p.birth.Date()
	century := 2*((year-1800)/100) + 2
	if p.male {
		century--
	}
	// Two neighbouring serials are kept for each child: they differ in the digit
	// that has weight 0 in the first pass and 1 in the second, so that at least
	// one of them is a number that is issued.
	for serial := 9000 + 2*int(c.serials[i]); ; serial++ {
		number := [12]byte{}
		for at, n := range [5]int{year % 100, month, day, century, serial} {
			place := [5]int{0, 2, 4, 6, 7}[at]
			for k := [5]int{2, 2, 2, 1, 4}[at] - 1; k >= 0; k-- {
				number[place+k] = byte('0' + n%10)
				n /= 10
			}
		}
		if check, ok := checkDigit(number[:11]); ok {
			number[11] = check
			return string(number[:])
		}
	}
}

// The weights of the two passes of the check.
var (
	pass1 = [11]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	pass2 = [11]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2}
)

// checkDigit returns the twelfth digit, or false for a number that is never
// issued.
func checkDigit(digits []byte) (byte, bool) {
	for _, weights := range [2][11]int{pass1, pass2} {
		sum := 0
		for i, w := range weights {
			sum += int(digits[i]-'0') * w
		}
		if sum %= 11; sum < 10 {
			return byte('0' + sum), true
		}
	}
	return 0, false
}
