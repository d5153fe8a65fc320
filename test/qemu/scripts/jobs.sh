# Background jobs and wait, without a terminal.
mkfifo go; (cat go; echo late) & echo early; : >go; wait; echo done
sh -c 'exit 5' & wait $!; echo $?
a=0; for i in 1 2 3; do (exit $i) & pids="$pids $!"; done; for p in $pids; do wait $p; a=$((a + $?)); done; echo $a
sleep 0.02 & sleep 0.01 & wait; echo both
(echo in background >bg) & wait; cat bg
x=$(sleep 0.01 & echo captured; wait); echo $x
wait 99999 2>/dev/null; echo "wait for nobody $?"
(cat) & wait; echo "cat got end of file"
{ cat go; echo slow >order; } & { echo fast >order; : >go; }; wait; cat order; rm go
kill -0 $$ && echo alive
sh -c 'sleep 50 & echo started; kill $!; wait $! 2>/dev/null; echo $?'
