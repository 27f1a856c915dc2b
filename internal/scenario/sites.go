package scenario

import (
	"net/netip"
	"strings"
)

// site is a place on the Internet that people or programs visit.
type site struct {
	name string
	ip   netip.Addr
}

var wellKnown = strings.Fields(`update.googleapis.com www.google.com www.gstatic.com fonts.gstatic.com outlook.office365.com login.microsoftonline.com
	teams.microsoft.com graph.microsoft.com settings-win.data.microsoft.com v10.events.data.microsoft.com officecdn.microsoft.com
	self.events.data.microsoft.com api.github.com github.com pypi.org registry.npmjs.org www.spiegel.de www.heise.de www.bahn.de www.booking.com
	api.dropboxapi.com app.box.com armmf.adobe.com www.linkedin.com www.wikipedia.org maps.google.com www.dhl.de www.ups.com
	pastebin.com raw.githubusercontent.com download.anydesk.com www.prezzee.com www.tangocard.com www.giftcards.com zoom.us slack.com
	api.openweathermap.org cdn.jsdelivr.net cdnjs.cloudflare.com s3.amazonaws.com ntp.org www.elster.de`)

var plainHosts = strings.Fields("crl3.digicert.com ocsp.digicert.com r3.o.lencr.org ctldl.windowsupdate.com www.msftconnecttest.com")

var plainPaths = []string{"/DigiCertGlobalRootCA.crl", "/MFEwTzBNMEswSTAJBgUrDgMCGgUABBQ", "/msdownload/update/v3/static/trustedr/en/disallowedcertstl.cab", "/connecttest.txt"}

var plainAgents = []string{"Microsoft-CryptoAPI/10.0", "Microsoft-Delivery-Optimization/10.1", "Microsoft NCSI"}

func makeSites(n *namer) []site {
	var out []site
	for _, name := range wellKnown {
		out = append(out, site{name, n.r.public()})
	}
	for range 60 {
		d := lower(n.stem()) + pick(n.r, []string{"-shop", "-media", "", "-portal", "-cloud", "-news"}) + "." + pick(n.r, topLevels)
		out = append(out, site{pick(n.r, []string{"www.", "", "shop.", "login.", "app.", "secure.", "mail."}) + d, n.r.public()})
	}
	return out
}
