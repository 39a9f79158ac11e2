package synth

// A name in the spelling of Kazakh and of Russian documents: agencies write the
// same child either way.
type name struct{ kk, ru string }

func (n name) in(kazakh bool) string {
	if kazakh {
		return n.kk
	}
	return n.ru
}

var boys = [...]name{
	{"Әлихан", "Алихан"},
	{"Нұрсұлтан", "Нурсултан"},
	{"Ерасыл", "Ерасыл"},
	{"Бекзат", "Бекзат"},
	{"Дәулет", "Даулет"},
	{"Мұхаммед", "Мухаммед"},
	{"Санжар", "Санжар"},
	{"Тамерлан", "Тамерлан"},
	{"Айсұлтан", "Айсултан"},
	{"Нұрислам", "Нурислам"},
	{"Ержан", "Ержан"},
	{"Қайрат", "Кайрат"},
	{"Олжас", "Олжас"},
	{"Жәнібек", "Жанибек"},
	{"Рамазан", "Рамазан"},
	{"Ғалым", "Галым"},
}

var girls = [...]name{
	{"Айгерім", "Айгерим"},
	{"Аружан", "Аружан"},
	{"Әсел", "Асель"},
	{"Дана", "Дана"},
	{"Жансая", "Жансая"},
	{"Қарақат", "Каракат"},
	{"Мәдина", "Мадина"},
	{"Нұрай", "Нурай"},
	{"Инжу", "Инжу"},
	{"Томирис", "Томирис"},
	{"Сезім", "Сезим"},
	{"Ұлжан", "Улжан"},
	{"Гүлнұр", "Гульнур"},
	{"Әмина", "Амина"},
	{"Балжан", "Балжан"},
	{"Раяна", "Раяна"},
}

var otherBoys = [...]name{
	{"Артём", "Артём"}, {"Максим", "Максим"}, {"Иван", "Иван"}, {"Кирилл", "Кирилл"}, {"Егор", "Егор"}, {"Тимур", "Тимур"},
}

var otherGirls = [...]name{
	{"Анна", "Анна"}, {"София", "София"}, {"Полина", "Полина"}, {"Дарья", "Дарья"}, {"Милана", "Милана"}, {"Виктория", "Виктория"},
}

// Family names without the ending -а of girls.
var families = [...]name{
	{"Сәрсенов", "Сарсенов"},
	{"Оспанов", "Оспанов"},
	{"Ахметов", "Ахметов"},
	{"Жұмабаев", "Жумабаев"},
	{"Қасымов", "Касымов"},
	{"Нұрғалиев", "Нургалиев"},
	{"Әбдіров", "Абдиров"},
	{"Төлегенов", "Тулегенов"},
	{"Ибрагимов", "Ибрагимов"},
	{"Сейітқалиев", "Сейткалиев"},
	{"Мұратов", "Муратов"},
	{"Есенов", "Есенов"},
	{"Бекмұхамедов", "Бекмухамедов"},
	{"Қалиев", "Калиев"},
	{"Дүйсенов", "Дуйсенов"},
	{"Рахимов", "Рахимов"},
}

var otherFamilies = [...]name{
	{"Иванов", "Иванов"},
	{"Петров", "Петров"},
	{"Ким", "Ким"},
	{"Шевченко", "Шевченко"},
	{"Смирнов", "Смирнов"},
	{"Мюллер", "Мюллер"},
	{"Попов", "Попов"},
	{"Цой", "Цой"},
}

// Fathers' names, from which patronymics are made: Ерланұлы, Ерланович.
var fathers = [...]name{
	{"Ерлан", "Ерлан"},
	{"Болат", "Болат"},
	{"Серік", "Серик"},
	{"Асқар", "Аскар"},
	{"Марат", "Марат"},
	{"Нұрлан", "Нурлан"},
	{"Қанат", "Канат"},
	{"Руслан", "Руслан"},
	{"Дәурен", "Даурен"},
	{"Талғат", "Талгат"},
}

// familyName returns the family name as one agency spells it.
func (p *person) familyName(kazakh bool) string {
	n := families[p.family%len(families)]
	if !p.kazakh {
		n = otherFamilies[p.family%len(otherFamilies)]
	}
	text := n.in(kazakh)
	if last := text[len(text)-len("в"):]; !p.male && last == "в" {
		text += "а"
	}
	return text
}

func (p *person) givenName(kazakh bool) string {
	switch {
	case p.kazakh && p.male:
		return boys[p.given%len(boys)].in(kazakh)
	case p.kazakh:
		return girls[p.given%len(girls)].in(kazakh)
	case p.male:
		return otherBoys[p.given%len(otherBoys)].in(kazakh)
	}
	return otherGirls[p.given%len(otherGirls)].in(kazakh)
}

func (p *person) patronymic(kazakh bool) string {
	father := fathers[p.father%len(fathers)]
	switch {
	case kazakh && p.male:
		return father.kk + "ұлы"
	case kazakh:
		return father.kk + "қызы"
	case p.male:
		return father.ru + "ович"
	}
	return father.ru + "овна"
}
