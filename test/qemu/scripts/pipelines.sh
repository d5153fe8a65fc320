# Pipelines: status, order, early ends, many stages.
seq 1000 | grep 7 | sort -rn | head -n 3
false | true; echo "status $?"
true | false; echo "status $?"
! true | false; echo "negated $?"
yes | head -n 2
echo one | (cat; echo two) | { read a; read b; echo "$b $a"; }
seq 20000 | tail -n 1
cat poem | cat | cat | cat | cat | wc -l
(exit 3) | cat; echo $?
x=$(seq 5 | while read n; do echo $((n * n)); done); echo $x
sh -c 'kill -PIPE $$'; echo "killed $?"
{ echo out; echo err >&2; } 2>&1 | sort
echo a | tee f1 | tee f2 >f3; cat f1 f2 f3
