# Traps and signals.
trap 'echo bye' EXIT
trap 'echo got usr1' USR1
kill -USR1 $$
trap 'echo term' TERM; kill -TERM $$; echo still here
trap '' INT; kill -INT $$; echo int ignored
trap - TERM; (kill -TERM $(exec sh -c 'echo $PPID')); echo "subshell $?"
sh -c 'trap "echo child exit" EXIT; exit 3'; echo $?
sh -c 'kill -9 $$'; echo "status $?"
sh -c 'kill -SEGV $$' 2>/dev/null; echo "status $?"
# ash says Terminated unless it has noticed the end before it waits.
sleep 100 & sleep 0.3; kill $!; wait $! 2>/dev/null; echo "wait $?"
(trap 'echo hup; exit 9' HUP; kill -HUP $(exec sh -c 'echo $PPID'); sleep 1); echo "subshell $?"
f() { trap 'echo in function' USR1; kill -USR1 $$; }; f
sh -c 'trap "" TERM; sh -c "kill -TERM \$\$; echo inherited"'
trap | grep -c USR1
