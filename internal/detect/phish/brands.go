package phish

import "strings"

// brands are names that phishing borrows most, with stems that the real sender's domain holds. A brand that is no
// word of everyday speech only; the list is public knowledge, not drawn from any corpus.
var brands = []struct {
	name  string
	stems []string
}{
	{"microsoft", []string{"microsoft", "office", "live.com", "outlook", "windows", "azure", "xbox"}}, {"office 365", []string{"microsoft", "office"}}, {"microsoft 365", []string{"microsoft", "office"}},
	{"sharepoint", []string{"sharepoint", "microsoft"}}, {"onedrive", []string{"microsoft", "onedrive", "live.com"}}, {"docusign", []string{"docusign"}}, {"adobe sign", []string{"adobe"}},
	{"paypal", []string{"paypal"}}, {"netflix", []string{"netflix"}}, {"amazon", []string{"amazon", "aws"}}, {"dhl", []string{"dhl", "deutschepost", "dpdhl"}}, {"fedex", []string{"fedex"}}, {"usps", []string{"usps"}},
	{"dpd", []string{"dpd"}}, {"hermes paket", []string{"hermes", "myhermes"}}, {"telekom", []string{"telekom", "t-online", "magenta"}}, {"vodafone", []string{"vodafone"}},
	{"sparkasse", []string{"sparkasse"}}, {"volksbank", []string{"volksbank", "vr.de"}}, {"commerzbank", []string{"commerzbank"}}, {"deutsche bank", []string{"deutsche-bank", "db.com"}}, {"wells fargo", []string{"wellsfargo"}},
	{"bank of america", []string{"bankofamerica", "bofa"}}, {"american express", []string{"americanexpress", "aexp"}}, {"coinbase", []string{"coinbase"}}, {"binance", []string{"binance"}}, {"metamask", []string{"metamask", "consensys"}},
	{"trust wallet", []string{"trustwallet"}}, {"costco", []string{"costco"}}, {"walmart", []string{"walmart"}}, {"mcafee", []string{"mcafee"}}, {"norton", []string{"norton", "gen.com", "nortonlifelock"}}, {"geek squad", []string{"geeksquad", "bestbuy"}},
	{"dropbox", []string{"dropbox"}}, {"icloud", []string{"apple", "icloud"}}, {"apple id", []string{"apple", "icloud"}}, {"linkedin", []string{"linkedin"}}, {"facebook", []string{"facebook", "meta.com"}},
	{"instagram", []string{"instagram", "facebook"}}, {"whatsapp", []string{"whatsapp", "facebook"}}, {"ionos", []string{"ionos", "1und1"}}, {"godaddy", []string{"godaddy", "secureserver"}}, {"spotify", []string{"spotify"}},
	{"disney+", []string{"disney"}}, {"airbnb", []string{"airbnb"}}, {"zoom video", []string{"zoom"}}, {"la poste", []string{"laposte"}}, {"colissimo", []string{"laposte", "colissimo"}}, {"ameli", []string{"ameli", "assurance-maladie"}},
	{"santander", []string{"santander"}}, {"bradesco", []string{"bradesco"}}, {"itaú", []string{"itau"}}, {"banco do brasil", []string{"bb.com"}}, {"hsbc", []string{"hsbc"}}, {"barclays", []string{"barclays"}}, {"lloyds bank", []string{"lloyds"}},
}

// borrowedBrand returns the brand that a display name shows, or that the subject of a nameless sender shows, where
// the sender's domain is not the brand's.
func borrowedBrand(_, shown, domain string) string {
	low := " " + strings.ToLower(skeletonFold(shown)) + " "
	for _, b := range brands {
		i := strings.Index(low, b.name)
		if i <= 0 || letter(low[i-1]) || i+len(b.name) < len(low) && letter(low[i+len(b.name)]) {
			continue
		}
		real := false
		for _, s := range b.stems {
			real = real || strings.Contains(domain, s)
		}
		if !real {
			return b.name
		}
	}
	return ""
}
