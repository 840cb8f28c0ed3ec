package sample

import (
	"fmt"
)

// traces writes what is noted about people: logins, attendance, photos and exam records.
func (b *builder) traces() {
	r := random(partTraces)
	for _, p := range b.people {
		net := []string{"192.0.2", "198.51.100", "203.0.113"}[r.IntN(3)]
		for i := range 6 + r.IntN(4) {
			b.add("logins", p.Key, minute(i*10+r.IntN(9), r.IntN(600)), fmt.Sprintf("%s.%d", net, 1+r.IntN(254)), pick(r, userAgents))
		}
		if p.Role == "elev" {
			b.pupilTraces(p, func(n int) int { return r.IntN(n) })
		}
	}
}

func (b *builder) pupilTraces(p Person, random func(int) int) {
	class := b.classes[p.class]
	for week := range 12 {
		switch random(6) {
		case 0:
			b.add("attendance", p.Key, day(week*7), "fraværende", absences[random(len(absences))], class.teacher)
		case 1:
			b.add("attendance", p.Key, day(week*7), "for sent", nil, class.teacher)
		default:
			b.add("attendance", p.Key, day(week*7), "til stede", nil, class.teacher)
		}
	}
	if p.Key == pupilKey || random(3) == 0 {
		caption := fmt.Sprintf(captions[random(len(captions))], p.DisplayName)
		b.add("photos", p.Key, class.teacher, caption, day(random(90)), picture(byte(random(256))))
	}
	if class.level < 9 {
		return
	}
	for _, exam := range exams { // taken in the eighth year
		b.add("exam_records", p.Controller, p.UniLogin, p.DisplayName, exam, marks[random(len(marks))], "2026-06-12")
	}
}

// picture is a bitmap of one pixel: a picture, but of nobody.
func picture(shade byte) []byte {
	return []byte{'B', 'M', 58, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24, 0,
		0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, shade, shade, shade, 0}
}
