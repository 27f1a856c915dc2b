package phish

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// brand is a name that phishing borrows, as people write it, and the names of the domains that are really its own:
// the label before the public suffix, or a whole domain where it has a dot.
type brand struct {
	name string
	own  []string
}

// brands are the names that the phishing trend reports of APWG, Check Point, Vade and Cloudflare list, and the large
// banks, parcel services, telephone companies and authorities of the countries whose languages the phrases cover. A
// brand that is a word of everyday speech stands here only with a second word.
var brands = makeBrands(
	"microsoft=microsoft,microsoftonline,office,live.com,outlook,windows,azure,xbox,sharepoint,onmicrosoft", "office 365=microsoft,office,office365", "office365=microsoft,office,office365", "microsoft 365=microsoft,office",
	"sharepoint=sharepoint,sharepointonline,microsoft", "onedrive=microsoft,onedrive,live.com,sharepoint", "outlook team=microsoft,outlook", "outlook web=microsoft,outlook", "docusign=docusign", "adobe sign=adobe,adobesign", "adobe acrobat=adobe", "acrobat sign=adobe,adobesign", "hellosign=hellosign,dropbox",
	"paypal=paypal", "netflix=netflix", "amazon=amazon,aws,primevideo,audible,amazonses,amazonaws", "amazon prime=amazon", "prime video=amazon,primevideo", "ebay=ebay", "alibaba=alibaba,alibaba-inc", "aliexpress=aliexpress", "shopify=shopify", "klarna=klarna", "walmart=walmart", "costco=costco", "home depot=homedepot", "lowe's=lowes", "best buy=bestbuy", "ikea=ikea,inter.ikea.com",
	"dhl=dhl,dpdhl,deutschepost,dhlparcel,dhlecommerce", "fedex=fedex", "usps=usps", "ups=ups", "dpd=dpd,dpdgroup,geopost", "gls=gls-group,gls-pakete,gls-italy,gls-spain,gls,gls-germany", "hermes paket=hermesworld,myhermes,hermes-europe", "evri=evri", "royal mail=royalmail", "deutsche post=deutschepost,dhl,post.de", "la poste=laposte", "colissimo=laposte,colissimo", "chronopost=chronopost", "mondial relay=mondialrelay", "correos=correos", "seur=seur", "ctt=ctt,cttexpress", "correios=correios.com.br", "poste italiane=poste,posteitaliane", "posteitaliane=poste,posteitaliane", "bartolini=brt", "postnl=postnl", "bpost=bpost", "swiss post=post.ch,swisspost", "österreichische post=post.at", "australia post=auspost", "canada post=canadapost",
	"apple=apple,icloud", "icloud=apple,icloud", "apple id=apple,icloud", "itunes=apple", "app store=apple", "google=google,youtube,gmail,googlemail", "google drive=google", "google workspace=google", "gmail team=google", "youtube=youtube,google", "facebook=facebook,facebookmail,meta.com,fb.com", "meta business=facebook,facebookmail,meta.com", "meta for business=facebook,facebookmail,meta.com", "instagram=instagram,facebookmail,facebook", "whatsapp=whatsapp,facebook", "linkedin=linkedin", "twitter=twitter,x.com", "tiktok=tiktok,bytedance", "telegram=telegram", "snapchat=snapchat", "discord=discord,discordapp", "dropbox=dropbox,dropboxmail", "wetransfer=wetransfer", "zoom video=zoom", "zoom meeting=zoom", "slack=slack,slack-corp", "spotify=spotify", "disney+=disney,disneyplus", "disney plus=disney,disneyplus", "hulu=hulu,hulumail", "airbnb=airbnb", "booking.com=booking", "uber=uber", "steam support=steampowered", "roblox=roblox", "playstation=playstation,sony", "github=github,githubapp", "canva=canva", "notion=notion,makenotion", "trustpilot=trustpilot",
	"mcafee=mcafee", "norton=norton,nortonlifelock,gendigital,gen.com", "nortonlifelock=norton,nortonlifelock", "avast=avast", "avg antivirus=avg,avast", "kaspersky=kaspersky", "bitdefender=bitdefender", "malwarebytes=malwarebytes", "windows defender=microsoft", "geek squad=geeksquad,bestbuy", "teamviewer=teamviewer", "anydesk=anydesk",
	"coinbase=coinbase", "binance=binance", "kraken=kraken", "metamask=metamask,consensys", "trust wallet=trustwallet", "ledger live=ledger", "ledger support=ledger", "trezor=trezor,satoshilabs", "blockchain.com=blockchain", "crypto.com=crypto", "opensea=opensea", "exodus wallet=exodus", "bitpanda=bitpanda", "kucoin=kucoin", "gemini exchange=gemini", "phantom wallet=phantom",
	"wells fargo=wellsfargo", "bank of america=bankofamerica,bofa", "american express=americanexpress,aexp", "amex=americanexpress,aexp", "citibank=citi,citibank", "capital one=capitalone", "jpmorgan=jpmorgan,chase,jpmchase", "chase bank=chase,jpmchase", "us bank=usbank", "navy federal=navyfederal", "truist=truist", "pnc bank=pnc", "mastercard=mastercard", "visa card=visa", "zelle=zellepay,zelle", "venmo=venmo,paypal", "cash app=cash.app,square,squareup", "western union=westernunion", "moneygram=moneygram", "wise transfer=wise,transferwise", "revolut=revolut", "stripe support=stripe", "intuit=intuit", "quickbooks=intuit,quickbooks", "turbotax=intuit,turbotax", "irs gov=irs.gov", "internal revenue service=irs.gov", "medicare=medicare.gov,cms.hhs.gov", "hmrc=hmrc.gov.uk", "gov.uk=gov.uk", "dvla=dvla.gov.uk", "tv licensing=tvlicensing", "hsbc=hsbc", "barclays=barclays,barclaycard", "lloyds bank=lloydsbank,lloyds", "natwest=natwest", "santander=santander,gruposantander,bancosantander", "nationwide=nationwide", "halifax bank=halifax", "monzo=monzo", "standard bank=standardbank", "absa=absa", "commonwealth bank=commbank,cba", "westpac=westpac", "scotiabank=scotiabank", "td bank=td,tdbank", "desjardins=desjardins", "interac=interac,payments.interac.ca",
	"sparkasse=sparkasse,sparkassen,s-kreditpartner", "sparkassen=sparkasse,sparkassen", "volksbank=volksbank,vr,volksbanken-raiffeisenbanken", "volksbanken=volksbank,vr", "raiffeisen=raiffeisen,raiffeisenbank,rbinternational", "commerzbank=commerzbank", "comdirect=comdirect,commerzbank", "deutsche bank=deutsche-bank,db.com,deutschebank", "postbank=postbank", "targobank=targobank", "ing-diba=ing,ing-diba", "ing diba=ing,ing-diba", "dkb=dkb", "consorsbank=consorsbank", "hypovereinsbank=hypovereinsbank,unicredit,hvb", "n26=n26", "advanzia=advanzia,gebuhrenfrei", "bundeszentralamt=bzst.bund.de,bzst", "elster=elster", "finanzamt=bund.de,elster,bayern.de,nrw.de", "bafin=bafin", "schufa=schufa", "rundfunkbeitrag=rundfunkbeitrag", "ard zdf=rundfunkbeitrag", "deutsche bahn=bahn,deutschebahn,dbvertrieb", "adac=adac", "lidl=lidl", "aldi=aldi,aldi-nord,aldi-sued", "rewe=rewe,rewe-group", "edeka=edeka", "otto versand=otto", "mediamarkt=mediamarkt,mediamarktsaturn", "saturn markt=saturn", "telekom=telekom,t-online,magenta,t-mobile", "t-online=telekom,t-online", "vodafone=vodafone,vodafonemail", "1&1=1und1,ionos,1and1", "strato=strato", "ionos=ionos,1und1,1and1", "godaddy=godaddy,secureserver", "web.de=web.de,1und1", "gmx=gmx.net,gmx.de,gmx.com,gmx", "payback=payback", "stayfriends=stayfriends", "check24=check24", "parship=parship",
	"ameli=ameli,assurance-maladie", "assurance maladie=ameli,assurance-maladie", "l'assurance maladie=ameli,assurance-maladie", "impots.gouv=impots.gouv.fr,dgfip.finances.gouv.fr", "antai=antai.gouv.fr", "service-public=service-public.fr", "caf=caf.fr,cnaf", "crédit agricole=credit-agricole,ca-paris", "credit agricole=credit-agricole", "société générale=socgen,societegenerale", "bnp paribas=bnpparibas,bnpparibasfortis", "banque populaire=banquepopulaire,bpce", "caisse d'epargne=caisse-epargne,bpce", "la banque postale=labanquepostale", "boursorama=boursorama,boursobank", "crédit mutuel=creditmutuel", "orange bank=orange,orangebank", "sfr=sfr", "bouygues=bouygues,bouyguestelecom", "free mobile=free,free-mobile", "edf=edf", "engie=engie", "ovh=ovh,ovhcloud", "carrefour=carrefour", "leclerc=leclerc,e-leclerc", "decathlon=decathlon", "vinted=vinted", "leboncoin=leboncoin",
	"bbva=bbva,grupobbva", "caixabank=caixabank", "bankia=bankia,caixabank", "sabadell=bancsabadell,sabadell", "agencia tributaria=agenciatributaria,aeat", "seguridad social=seg-social", "movistar=movistar,telefonica", "endesa=endesa", "dgt=dgt.es,dgt", "bradesco=bradesco", "itaú=itau,itau-unibanco", "banco do brasil=bb.com.br,bb", "caixa econômica=caixa.gov.br", "nubank=nubank", "mercado livre=mercadolivre,mercadopago", "mercado pago=mercadopago,mercadolibre,mercadolivre", "receita federal=receita.fazenda.gov.br,gov.br", "serasa=serasa,serasaexperian", "millennium bcp=millenniumbcp", "caixa geral=cgd",
	"intesa sanpaolo=intesasanpaolo", "intesa=intesasanpaolo", "unicredit=unicredit,unicreditgroup", "nexi=nexi", "postepay=poste,posteitaliane,postepay", "bancoposta=poste,posteitaliane", "bper=bper", "fineco=fineco,finecobank", "aruba.it=aruba,staff.aruba.it", "agenzia entrate=agenziaentrate.gov.it,agenziaentrate", "inps=inps.it,inps", "enel=enel,enelenergia", "tim telecom=tim,telecomitalia", "abn amro=abnamro", "rabobank=rabobank", "ing bank=ing", "digid=digid", "belastingdienst=belastingdienst", "bol.com=bol", "kpn=kpn", "ziggo=ziggo,vodafoneziggo", "itsme=itsme,itsme-id", "kbc=kbc", "belfius=belfius", "argenta=argenta", "postfinance=postfinance", "ubs=ubs", "twint=twint", "swisscom=swisscom,bluewin", "sbb cff=sbb", "erste bank=erstebank,sparkasse", "bawag=bawag,bawagpsk", "finanzonline=bmf.gv.at", "a1 telekom=a1", "rakuten=rakuten", "jcb card=jcb", "smbc=smbc,smbc-card", "mizuho=mizuhobank", "mufg=mufg", "cpanel=cpanel", "roundcube=roundcube", "zimbra=zimbra,synacor", "at&t=att,att-mail", "verizon=verizon,verizonwireless", "xfinity=xfinity,comcast", "comcast=xfinity,comcast", "t-mobile=t-mobile,telekom", "ups store=ups,theupsstore", "state farm=statefarm", "geico=geico", "progressive insurance=progressive", "aarp=aarp", "blue cross=bcbs,anthem", "cvs pharmacy=cvs", "walgreens=walgreens", "ace hardware=acehardware", "harbor freight=harborfreight", "yeti cooler=yeti", "dewalt=dewalt", "stanley cup=stanley1913", "kohl's=kohls", "sam's club=samsclub", "macy's=macys", "marriott=marriott", "southwest airlines=southwest", "delta airlines=delta", "lufthansa=lufthansa", "ryanair=ryanair", "elon musk=tesla,x.com,spacex", "tesla=tesla",
)

func makeBrands(list ...string) []brand {
	out := make([]brand, len(list))
	for i, s := range list {
		name, own, _ := strings.Cut(s, "=")
		out[i] = brand{name, strings.Split(own, ",")}
	}
	return out
}

// brandsByLetter are the brands by their first two bytes.
var brandsByLetter = func() map[[2]byte][]*brand {
	m := map[[2]byte][]*brand{}
	for i := range brands {
		k := [2]byte{brands[i].name[0], brands[i].name[1]}
		m[k] = append(m[k], &brands[i])
	}
	return m
}()

// owns reports whether the domain is the brand's, and whether its name at least holds one of the brand's names, as
// a regional or mailing domain of a brand does and as a look-alike does.
func (b *brand) owns(domain string) (own, holds bool) {
	suffix, icann := publicsuffix.PublicSuffix(domain)
	name, _ := splitApex(apexOf(domain))
	shared := !icann && strings.IndexByte(suffix, '.') >= 0 // a hosting suffix, where anybody may take any name
	for _, s := range b.own {
		if strings.IndexByte(s, '.') >= 0 {
			own = own || within(domain, s)
			continue
		}
		own = own || name == s && !shared
		holds = holds || len(s) >= 4 && strings.Contains(name, s)
	}
	return own, holds
}

// brandIn returns the first brand that a text in lower case names as whole words, or nil.
func brandIn(low string) *brand {
	for i := 0; i+2 <= len(low); i++ {
		if i > 0 && (letter(low[i-1]) || isDigit(low[i-1])) {
			continue
		}
		for _, b := range brandsByLetter[[2]byte{low[i], low[i+1]}] {
			if end := i + len(b.name); strings.HasPrefix(low[i:], b.name) && (end == len(low) || !letter(low[end]) && !isDigit(low[end])) {
				return b
			}
		}
	}
	return nil
}

// brandInHost returns the brand whose own name is a word, or the beginning of a word, of a host that isn't the
// brand's: paypal.secure-check.example, netflix-billing.example.
func brandInHost(host string) *brand {
	for start := 0; start < len(host); {
		end := start
		for end < len(host) && host[end] != '.' && host[end] != '-' {
			end++
		}
		if end-start >= 5 {
			word := host[start:end]
			for _, b := range brandsByLetter[[2]byte{word[0], word[1]}] {
				if len(b.name) < 5 || !strings.HasPrefix(word, b.name) {
					continue
				}
				if rest := word[len(b.name):]; rest == "" || lureWords[rest] {
					if own, _ := b.owns(host); !own {
						return b
					}
				}
			}
		}
		start = end + 1
	}
	return nil
}
