package erasure

// article is where the ground stands.
func (g Ground) article() string {
	switch g {
	case ConsentWithdrawn:
		return "GDPR art. 17(1)(b)"
	case NoLongerNecessary, Retention:
		return "GDPR art. 17(1)(a)"
	case ObjectionUpheld:
		return "GDPR art. 17(1)(c)"
	case Unlawful:
		return "GDPR art. 17(1)(d)"
	case LegalObligation:
		return "GDPR art. 17(1)(e)"
	case ChildService:
		return "GDPR art. 17(1)(f)"
	case ContractEnd:
		return "GDPR art. 28(3)(g)"
	}
	return ""
}

// text says the ground in words.
func (g Ground) text() Text {
	switch g {
	case ConsentWithdrawn:
		return Text{EN: "Consent was withdrawn, and nothing else allows the processing.", DA: "Samtykket er trukket tilbage, og intet andet tillader behandlingen."}
	case NoLongerNecessary:
		return Text{EN: "The data is no longer needed for its purpose.", DA: "Oplysningerne er ikke længere nødvendige til formålet."}
	case ObjectionUpheld:
		return Text{EN: "The person's objection was upheld.", DA: "Personens indsigelse er taget til følge."}
	case Unlawful:
		return Text{EN: "The processing was unlawful.", DA: "Behandlingen var ulovlig."}
	case LegalObligation:
		return Text{EN: "The law demands the erasure.", DA: "Loven kræver sletningen."}
	case ChildService:
		return Text{EN: "The data was collected from a child on consent.", DA: "Oplysningerne er indsamlet fra et barn på grundlag af samtykke."}
	case Retention:
		return Text{EN: "The period of retention is over.", DA: "Opbevaringsperioden er udløbet."}
	case ContractEnd:
		return Text{EN: "The agreement with the controller has ended.", DA: "Aftalen med den dataansvarlige er ophørt."}
	}
	return Text{}
}

var otherBasisText = Text{
	EN: "The ground does not reach this data: it is processed on another legal basis.",
	DA: "Grunden omfatter ikke disse oplysninger: de behandles på et andet retsgrundlag.",
}

var stillReferredText = Text{
	EN: "The person's own record stays: data that is kept on another legal basis refers to it.",
	DA: "Personens egen post bliver stående: oplysninger, der bevares på et andet retsgrundlag, henviser til den.",
}

func protectedText(ground string) Text {
	return Text{
		EN: "The controller's register protects this data from erasure: " + ground,
		DA: "Den dataansvarliges fortegnelse beskytter disse oplysninger mod sletning: " + ground,
	}
}
