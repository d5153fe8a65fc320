# Here-documents: expansion, quoting, tabs, several at once.
name=world
cat <<END
hello $name $(echo sub) $((1 + 2)) \$name
END
cat <<'END'
hello $name $(echo sub) \
END
cat <<-END
	tab removed
	  $name
	END
cat <<A; cat <<B
first
A
second
B
tr a-z A-Z <<END | rev
pipeline
END
f() { cat; }
f <<END
to a function
END
i=0; while [ $i -lt 3 ]; do cat <<END; i=$((i + 1)); done
loop $i
END
cat <<END | wc -c
$(seq 1 5000)
END
