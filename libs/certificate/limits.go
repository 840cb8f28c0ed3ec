package certificate

// Limits returns what no erasure certificate proves, for [Statement.DoesNotProve]. A statement may add to it.
func Limits() []Text {
	return []Text{
		{
			En: "It does not prove anything about systems that are not listed here.",
			Da: "Den beviser ikke noget om systemer, der ikke står her.",
		},
		{
			En: "It does not prove that a system's own data map names every place where that system stores personal data.",
			Da: "Den beviser ikke, at et systems eget datakort nævner alle de steder, hvor systemet gemmer personoplysninger.",
		},
		{
			En: "It does not prove that back-ups are already overwritten; residuals say until when copies can exist.",
			Da: "Den beviser ikke, at sikkerhedskopier allerede er overskrevet; under rester står der, hvor længe kopier kan findes.",
		},
		{
			En: "It does not prove anything about copies that people took out of the systems, such as downloads, prints and e-mails.",
			Da: "Den beviser ikke noget om kopier, som personer har taget ud af systemerne, f.eks. downloads, udskrifter og e-mails.",
		},
		{
			En: "It does not prove anything about data that came into a system after it was asked the last time.",
			Da: "Den beviser ikke noget om data, der er kommet ind i et system, efter at det blev spurgt sidste gang.",
		},
		{
			En: "It does not prove that a system told the truth, only what it answered and that it was asked again by another path.",
			Da: "Den beviser ikke, at et system talte sandt, kun hvad det svarede, og at det blev spurgt igen ad en anden vej.",
		},
	}
}
