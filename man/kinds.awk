# SPDX-License-Identifier: BSD-3-Clause
# kinds.awk: src/check/kinds.txt as the rows of the checker's table (-v out=c), or as the part of
# uvfio-check(7) that explains them (-v out=man). Stops where something is missing.
function fail(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what >"/dev/stderr"
	bad = 1
	exit 1
}
function c_text(s) {
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	gsub(/\t/, "\\t", s)
	return s
}
function man_text(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	if (s ~ /^[.']/)
		s = "\\&" s
	return s
}
# a paragraph of @s: a line for each sentence, wrapped
function man_lines(s,    n, i, words, line, all) {
	n = split(s, words, " ")
	for (i = 1; i <= n; i++) {
		if (words[i] ~ /^[a-z_0-9]+\(\)[.,:;]?$/) { # a function has markup of its own
			all = all (line == "" ? "" : man_text(line) "\n")
			line = ""
			sub(/\(\)/, " ", words[i])
			sub(/ $/, "", words[i])
			all = all ".Fn " words[i] "\n"
			continue
		}
		if (line != "" && length(line) + length(words[i]) > 74) {
			all = all man_text(line) "\n"
			line = ""
		}
		line = line (line == "" ? "" : " ") words[i]
		if (words[i] ~ /[.:]$/) {
			all = all man_text(line) "\n"
			line = ""
		}
	}
	return all (line == "" ? "" : man_text(line) "\n")
}
function end_paragraph() {
	if (paragraph != "")
		text = text ".Pp\n" man_lines(paragraph)
	paragraph = ""
}
function end_kind() {
	if (name == "")
		return
	end_paragraph()
	if (line == "" || fix == "" || text == "")
		fail("kind " name ": a line, a fix or the explanation is missing")
	if (out == "c") {
		printf "\t{ \"%s\", \"%s\",\n\t  \"%s\",\n\t  \"%s\",\n", name, group, c_text(line),
			c_text(fix)
		printf "%s\t  , %s },\n", text, asked ? "true" : "false"
		return
	}
	printf ".It Sy %s\n%s", man_text(name), man_lines(line ".")
	if (asked)
		printf ".Pp\n%s", man_lines("Looked for only when it is asked for.")
	printf "%s", text
	if (literal)
		printf ".Ed\n"
	printf ".Pp\nWhat to do:\n%s", man_lines(fix)
}
/^#/ { next }
/^kind / {
	end_kind()
	if (NF != 3 && !(NF == 4 && $4 == "asked"))
		fail("kind NAME GROUP [asked]")
	asked = NF == 4
	name = $2
	group = $3
	line = fix = text = ""
	literal = empty = 0
	next
}
/^line: / { line = substr($0, 7); next }
/^fix: / { fix = substr($0, 6); next }
/^  / { fix = fix substr($0, 2); next }
name == "" { if ($0 != "") fail("no kind yet"); next }
/^$/ { empty = text != ""; if (out == "man") end_paragraph(); next }
out == "c" {
	if (empty)
		text = text "\t  \"\\n\"\n"
	empty = 0
	text = text "\t  \"" c_text($0) "\\n\"\n"
	next
}
/^\t/ {
	end_paragraph()
	if (!literal)
		text = text ".Bd -literal -offset indent\n"
	literal = 1
	text = text man_text(substr($0, 2)) "\n"
	next
}
{
	if (literal)
		text = text ".Ed\n"
	literal = 0
	paragraph = paragraph (paragraph == "" ? "" : " ") $0
}
END {
	if (!bad)
		end_kind()
	exit bad
}
