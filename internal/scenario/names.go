package scenario

import (
	"fmt"
	"strings"
)

// The lists multiply: given × family names for people, stem × ending × trade for organisations, and a suffix and
// a pattern for their domains.
var (
	givenNames = strings.Fields(`Ada Adnan Agnes Aino Alba Aldo Amira Anders Anouk Arno Asta Ayla Bela Bente Birgit Bojan
		Carla Cedric Chiara Dagny Dario Dilara Dominik Edda Eero Elif Emre Enzo Erik Esra Fabian Farah Filip Freya Gerd
		Gitta Goran Greta Hakan Hanna Hedda Henrik Ida Ilka Imre Ines Ivo Jana Jarek Joris Judit Kaan Kalle Karin Kira
		Lars Leonie Levi Linnea Luca Maija Malik Marek Marit Matteo Mila Mira Nadja Nils Nora Oda Olek Orla Pavel Petra
		Quint Rafa Ragna Remy Rosa Ruben Sami Sanna Selma Silke Sven Tarek Tilda Timo Ulla Uwe Vera Viktor Wanda Wim
		Xenia Yara Yusuf Zita Zoran`)
	familyNames = strings.Fields(`Aalto Abel Adler Ahrens Albers Andric Arslan Bakker Balog Banks Bauer Becht Berisha Bianchi
		Blom Borg Brandt Brenner Celik Cerny Conti Dahl Decker Demir Diallo Dirks Doyle Drost Eberl Eklund Engel Esposito
		Falk Faber Farkas Fiedler Fontana Frei Gallo Geiger Graf Gruber Haas Haddad Hansen Hartwig Heller Hofer Holm
		Horak Hruby Huber Iversen Jakob Jansen Jensen Jonas Kaiser Keller Kern Kiss Klein Koch Kovac Krol Kuhn Lang Laine
		Lemke Lindqvist Lopez Lorenz Maas Maier Marino Martens Meier Moreau Moser Nagy Nemec Neri Nilsson Novak Nowak
		Okafor Olsen Orban Otte Pavlik Petrov Pohl Popov Quast Rauch Reiter Ricci Riedl Roth Ruiz Sauer Schenk Silva
		Simek Sorensen Stark Steiner Szabo Tanner Thiel Toth Ulrich Urban Vogt Voss Wagner Weiss Wirth Yilmaz Zanella
		Zeman Ziegler`)
	orgStems = strings.Fields(`Alder Amber Anker Arden Basalt Birken Blau Brenta Brock Calder Carm Cedar Claren Corvin Dorn
		Drava Eben Eiger Elster Ember Falken Farn Feld Fichten Flint Forst Gamma Glan Granit Grau Hagen Hafen Halden
		Hasel Heron Horn Inn Ister Jura Karst Kastel Kiesel Kranich Lahn Linden Loden Lune Marl Meran Mistral Mohn
		Narva Nebel Nord Oder Orion Ostar Pappel Perl Quarz Raben Rhon Rott Saal Sand Save Silber Sorpe Speicher Stein
		Sturm Tann Thal Tarn Ufer Ulmen Varn Vesper Wald Weiden Wesel Wolken Ysper Zander Ziller`)
	orgEndings = strings.Fields(`au bach beck berg born bridge brunn burg dal dorf eck feld field ford furt gate grund hall
		haus heim hof holm horst kamp land leite lund mark moor moos mont nau nova ried rode see stadt stett tal tor
		vale wald ward weg werk wick wies wood`)
	orgTrades = []string{"Logistik", "Textil", "Optik", "Papier", "Foods", "Pharma", "Metall", "Energie", "Bau", "Hotels",
		"Labor", "Druck", "Keramik", "Glas", "Medizintechnik", "Software", "Maschinen", "Chemie", "Holz", "Spedition",
		"Verlag", "Finanz", "Immobilien", "Verpackung", "Agrar", "Marine", "Aero", "Kunststoff", "Seguros", "Retail"}
	providerTrades = []string{"IT Services", "Systemhaus", "Managed IT", "Netzwerke", "Cloud Partner", "IT Solutions", "Systems", "Datentechnik"}
	topLevels      = []string{"de", "com", "at", "eu", "se", "nl", "ch", "net", "it", "fi"}
	phishStems     = strings.Fields(`secure message mail portal session verify document delivery encrypted inbox notice relay view
		internal gateway share account cloud access service`)
	places = []place{{"Muenchen", "DE"}, {"Hamburg", "DE"}, {"Koeln", "DE"}, {"Leipzig", "DE"}, {"Wien", "AT"}, {"Graz", "AT"},
		{"Zuerich", "CH"}, {"Stockholm", "SE"}, {"Utrecht", "NL"}, {"Helsinki", "FI"}, {"Bologna", "IT"}, {"Aarhus", "DK"}}
	farPlaces = []place{{"Singapore", "SG"}, {"Lagos", "NG"}, {"Sao Paulo", "BR"}, {"Warszawa", "PL"}, {"London", "GB"},
		{"Dallas", "US"}, {"Amsterdam", "NL"}, {"Bucuresti", "RO"}, {"Istanbul", "TR"}, {"Frankfurt", "DE"}}
	accessASNs  = []int{3320, 3209, 8881, 6830, 1136, 2119, 8447, 3303, 719, 1257}
	hostingASNs = []int{9009, 14061, 16276, 20473, 24940, 60068, 62240, 212238}
)

type place struct{ city, country string }

// namer hands out names that nobody else in the scenario has.
type namer struct {
	r     *rng
	taken map[string]bool
}

func (n *namer) free(draw func() string) string {
	for range 10000 {
		if s := draw(); !n.taken[s] {
			n.taken[s] = true
			return s
		}
	}
	for i := 2; ; i++ {
		if s := fmt.Sprintf("%s%d", draw(), i); !n.taken[s] {
			n.taken[s] = true
			return s
		}
	}
}

// stem draws a one-word name such as "Lindenholm", not used before in this scenario.
func (n *namer) stem() string {
	return n.free(func() string {
		a, b := pick(n.r, orgStems), pick(n.r, orgEndings)
		if strings.HasSuffix(strings.ToLower(a), b[:1]) {
			return a + b[1:]
		}
		return a + b
	})
}

// person draws a given and a family name whose login is free within the organisation.
func (n *namer) person(logins map[string]bool, style int) (given, family, login string) {
	for {
		g, f := pick(n.r, givenNames), pick(n.r, familyNames)
		l := strings.ToLower(spell(g, f, style))
		if logins[l] {
			continue
		}
		logins[l] = true
		return g, f, l
	}
}

// spell writes a login in one of three house styles.
func spell(given, family string, style int) string {
	switch style {
	case 0:
		return given[:1] + "." + family
	case 1:
		return given + "." + family
	default:
		return family + given[:1]
	}
}
