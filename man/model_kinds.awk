# SPDX-License-Identifier: BSD-3-Clause
# model_kinds.awk: the tables of kinds (struct uvfio_kind) of models, for uvfio-check(7). A model is
# named by its folder, or by its file.
function fail(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what >"/dev/stderr"
	bad = 1
	exit 1
}
function man_text(s) {
	gsub(/\\"/, "\"", s)
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	if (s ~ /^[.']/)
		s = "\\&" s
	return s
}
# a line for each sentence, wrapped
function man_lines(s,    n, i, words, line, all) {
	n = split(s, words, " ")
	for (i = 1; i <= n; i++) {
		if (line != "" && length(line) + length(words[i]) > 74) {
			all = all man_text(line) "\n"
			line = ""
		}
		line = line (line == "" ? "" : " ") words[i]
		if (words[i] ~ /[.]$/) {
			all = all man_text(line) "\n"
			line = ""
		}
	}
	return all (line == "" ? "" : man_text(line) "\n")
}
function end_kind() {
	if (!("name" in field))
		return
	if (field["line"] == "" || field["fix"] == "")
		fail("kind " field["name"] ": no line, or no fix")
	if (field["section"] != "")
		field["line"] = field["line"] " (" field["section"] ")"
	printf ".It Sy proto\\-%s\\-%s\n%s%s", model, man_text(field["name"]),
		man_lines(field["line"] "."), man_lines(field["fix"])
	split("", field)
	count++
}
FNR == 1 {
	model = FILENAME
	if (model ~ /\/kinds\.c$/)
		sub(/\/kinds\.c$/, "", model)
	sub(/\.c$/, "", model)
	sub(/.*\//, "", model)
}
/const struct uvfio_kind .*\[\] = \{$/ { inside = 1; next }
inside && /^};/ { end_kind(); inside = 0; next }
!inside { next }
{
	rest = $0
	while (match(rest, /\.(name|line|section|fix) = |"([^"\\]|\\.)*"|\}/)) {
		token = substr(rest, RSTART, RLENGTH)
		rest = substr(rest, RSTART + RLENGTH)
		if (token == "}")
			end_kind()
		else if (substr(token, 1, 1) == "\"")
			field[key] = field[key] substr(token, 2, length(token) - 2)
		else {
			key = token
			gsub(/[. =]/, "", key)
		}
	}
}
END {
	if (!bad && !count)
		fail("no kinds")
	exit bad
}
